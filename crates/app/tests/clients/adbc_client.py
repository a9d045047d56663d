"""Published clients that know only FlightSQL: ADBC's driver, pyarrow's two steps, and the calls of Grafana's data source.

    python adbc_client.py grpc://ADDRESS RECORDING.truth.json [--key KEY]
"""

import argparse
import json
import pathlib
import threading
import time
import warnings

import adbc_driver_flightsql.dbapi as dbapi
import pyarrow
import pyarrow.compute
from adbc_driver_flightsql import DatabaseOptions, StatementOptions
from pyarrow import flight

from checks import LEVELS, OF_PROGRAMS, check, raises, run, same
from recorded import command, field, statement

VIEWS = {"blocks", "log_entries", "measures", "processes", "streams"}
LOGS_BY_LEVEL = f"SELECT level, count(*) AS count FROM log_entries WHERE {OF_PROGRAMS} GROUP BY level"
# never comes to an end: 196 rows to the power of seven
ENDLESS = "SELECT sum(a.level * b.level + c.level * d.level + e.level * f.level + g.level) FROM " + " CROSS JOIN ".join(
    f"log_entries {name}" for name in "abcdefg"
)
HEADER = StatementOptions.RPC_CALL_HEADER_PREFIX.value


class Subject:
    """What is under test, and what must come out."""

    def __init__(self, arguments):
        self.uri = arguments.uri
        self.key = arguments.key
        self.process = json.loads(pathlib.Path(arguments.truth).read_text(encoding="utf-8"))["processes"][0]

    def options(self):
        return {} if self.key is None else {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {self.key}"}

    def connect(self, **options):
        return dbapi.connect(self.uri, db_kwargs=self.options() | options, autocommit=True)

    def rows(self, sql, parameters=None, **headers):
        """All rows of a query; headers are those of this query only."""
        options = {f"{HEADER}{name}": value for name, value in headers.items()}
        with self.connect() as connection, connection.cursor(adbc_stmt_kwargs=options) as cursor:
            return cursor.execute(sql, parameters).fetchall()

    def call(self, **headers):
        """A plain Flight client, and what goes with each of its calls."""
        if self.key is not None:
            headers["authorization"] = f"Bearer {self.key}"
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        return flight.connect(self.uri), flight.FlightCallOptions(headers=encoded)

    def flight(self, request, **headers):
        """The two steps of a FlightSQL client: where the answer is, then the answer."""
        client, options = self.call(**headers)
        descriptor = flight.FlightDescriptor.for_command(request)
        info = client.get_flight_info(descriptor, options)
        same(len(info.endpoints), 1, "endpoints")
        same(info.descriptor, descriptor)
        return info, client.do_get(info.endpoints[0].ticket, options).read_all()


def counted(subject):
    return {LEVELS.index(level): count for level, count in subject.process["logs_by_level"].items()}


def bounds(subject):
    """The first time of a message, one between messages, the last, as RFC 3339; and how many messages there are."""
    table = subject.flight(statement("SELECT time FROM log_entries ORDER BY time"))[1]
    times = table["time"].cast(pyarrow.int64()).to_pylist()
    gap = max(range(1, len(times)), key=lambda i: times[i] - times[i - 1])

    def text(nanoseconds):
        seconds, rest = divmod(nanoseconds, 1_000_000_000)
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09}Z"

    return text(times[0]), text((times[gap - 1] + times[gap]) // 2), text(times[-1]), len(times)


@check
def rows_are_what_the_program_counted(subject):
    with subject.connect() as connection, connection.cursor() as cursor:
        cursor.execute(LOGS_BY_LEVEL)
        same([column[0] for column in cursor.description], ["level", "count"])
        same(dict(cursor.fetchall()), counted(subject))
        table = cursor.execute(LOGS_BY_LEVEL).fetch_arrow_table()
        same(dict(zip(table["level"].to_pylist(), table["count"].to_pylist())), counted(subject))
        cursor.execute("SELECT msg FROM log_entries ORDER BY time, msg")
        first, some, rest = cursor.fetchone(), cursor.fetchmany(10), list(cursor)
        same((len(first), len(some)), (1, 10))
        same(1 + len(some) + len(rest), subject.rows("SELECT count(*) FROM log_entries")[0][0])
        same(cursor.execute("SELECT msg FROM log_entries WHERE level > 100").fetchall(), [])
        frame = cursor.execute("SELECT * FROM processes").fetch_df()
        same(frame["process_id"].tolist().count(subject.process["process"]["process_id"]), 1)


@check
def a_connection_that_asks_for_transactions_gets_answers(subject):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with dbapi.connect(subject.uri, db_kwargs=subject.options()) as connection, connection.cursor() as cursor:
            same(cursor.execute("SELECT 1").fetchall(), [(1,)])


@check
def values_take_the_places_of_parameters(subject):
    upto = sum(count for level, count in counted(subject).items() if level <= 3)
    for sql in [f"SELECT count(*) FROM log_entries WHERE {OF_PROGRAMS} AND level <= ?",
                f"SELECT count(*) FROM log_entries WHERE {OF_PROGRAMS} AND level <= $1"]:
        same(subject.rows(sql, (3,)), [(upto,)], sql)
    target, levels = next(iter(subject.process["logs_by_target"].items()))
    level, truth = next(iter(levels.items()))
    for sql in ["SELECT count(*) FROM log_entries WHERE target = ? AND level = ?",
                "SELECT count(*) FROM log_entries WHERE target = $1 AND level = $2"]:
        same(subject.rows(sql, (target, LEVELS.index(level))), [(truth["count"],)], sql)
    # what a value says is never read as SQL
    same(subject.rows("SELECT count(*) FROM log_entries WHERE target = ?", ("' OR 'a' = 'a",)), [(0,)])
    raises(dbapi.Error, lambda: subject.rows("SELECT count(*) FROM log_entries WHERE level <= ?"))
    for sql, values, answer in [("SELECT ?", (7,), 7), ("SELECT ?", ("x",), "x"), ("SELECT ?", (b"x",), b"x"),
                                ("SELECT ? + ?", (1, 2), 3), ("SELECT ? < ?", (1, 2), True), ("SELECT abs(?)", (-7,), 7),
                                ("SELECT upper(?)", ("x",), "X"), ("SELECT 7 FROM log_entries LIMIT ?", (1,), 7),
                                ("SELECT jsonb_as_i64(jsonb_parse(?))", ("7",), 7)]:
        same(subject.rows(sql, values), [(answer,)], sql)


@check
def what_is_computed_before_the_query_runs_has_the_columns_that_were_told(subject):
    # this driver compares the columns of the rows with those that were told before
    for sql in ["SELECT count(*), current_date FROM log_entries", "SELECT exe, upper('a') FROM processes",
                "SELECT concat('a', NULL)", "SELECT CASE WHEN 1 = 1 THEN exe END FROM processes",
                "SELECT to_timestamp('2026-01-01T00:00:00Z')", "SELECT arrow_typeof(1), {a: 1}",
                "SELECT jsonb_format_json(jsonb_parse('{}'))"]:
        subject.rows(sql)


@check
def a_prepared_query_tells_its_columns_and_parameters_and_is_asked_again(subject):
    sql = f"SELECT count(*) AS count FROM log_entries WHERE {OF_PROGRAMS} AND level = $1"
    with subject.connect() as connection, connection.cursor() as cursor:
        same(len(cursor.adbc_prepare(sql)), 1)
        for level, count in counted(subject).items():
            same(cursor.execute(sql, (level,)).fetchall(), [(count,)], str(level))
        schema = cursor.adbc_execute_schema("SELECT time, level, msg FROM log_entries")
        same(schema.names, ["time", "level", "msg"])
        same([str(kind) for kind in schema.types], ["timestamp[ns, tz=+00:00]", "int32", "string"])


@check
def where_an_answer_is_can_be_handed_on(subject):
    with subject.connect() as connection, connection.cursor() as cursor:
        places, _ = cursor.adbc_execute_partitions(LOGS_BY_LEVEL)
        rows = []
        with connection.adbc_clone() as other, other.cursor() as reader:
            for place in places:
                reader.adbc_read_partition(place)
                rows += reader.fetchall()
        same(dict(rows), counted(subject))


@check
def the_server_tells_what_it_is(subject):
    with subject.connect() as connection:
        info = connection.adbc_get_info()
        assert "belvedere" in info["vendor_name"].lower(), info
        assert info["vendor_version"] and info["vendor_arrow_version"], info


def tables(objects):
    """The tables of the objects of a lake, by name."""
    found = {}
    for catalog in objects.read_all().to_pylist():
        for schema in catalog["catalog_db_schemas"] or []:
            for table in schema["db_schema_tables"] or []:
                found[table["table_name"]] = table
    return found


@check
def tables_and_their_columns_are_listed(subject):
    with subject.connect() as connection:
        catalogs = connection.adbc_get_objects(depth="catalogs").read_all()
        assert catalogs.num_rows > 0, "there is no catalog"
        schemas = connection.adbc_get_objects(depth="db_schemas").read_all().to_pylist()
        assert any(catalog["catalog_db_schemas"] for catalog in schemas), "there is no schema"
        found = tables(connection.adbc_get_objects(depth="tables"))
        assert VIEWS <= set(found), sorted(found)
        kinds = {table["table_type"] for table in found.values()}
        assert kinds <= set(connection.adbc_get_table_types()), (kinds, connection.adbc_get_table_types())
        same(set(tables(connection.adbc_get_objects(depth="tables", table_name_filter="log\\_entr%"))), {"log_entries"})
        kind = found["log_entries"]["table_type"]
        assert VIEWS <= set(tables(connection.adbc_get_objects(depth="tables", table_types_filter=[kind])))
        same(set(tables(connection.adbc_get_objects(depth="tables", table_types_filter=["no such kind"]))), set())
        everything = tables(connection.adbc_get_objects(depth="all"))
        for view in VIEWS:
            with connection.cursor() as cursor:
                names = cursor.execute(f"SELECT * FROM {view} LIMIT 0").fetch_arrow_table().schema.names
            listed = sorted(everything[view]["table_columns"], key=lambda column: column["ordinal_position"])
            same([column["column_name"] for column in listed], names, view)
            assert all(column["xdbc_type_name"] for column in listed), listed
            same(connection.adbc_get_table_schema(view).names, names, view)
        raises(dbapi.Error, lambda: connection.adbc_get_table_schema("no_such_table"))


@check
def headers_narrow_a_query(subject):
    count = "SELECT count(*) FROM log_entries"
    first, middle, last, total = bounds(subject)
    before = subject.rows(f"{count} WHERE time <= '{middle}'")[0][0]
    after = subject.rows(f"{count} WHERE time >= '{middle}'")[0][0]
    same(subject.rows(count, query_range_begin=middle, query_range_end=last), [(after,)])
    same(subject.rows(count, query_range_begin=first, query_range_end=middle), [(before,)])
    same(subject.rows(count, query_range_begin=middle), [(after,)])
    same(subject.rows(count, query_range_end=middle), [(before,)])
    same(subject.rows(count, query_range_begin="", query_range_end=""), [(total,)], "an empty bound is none")
    same(len(subject.rows("SELECT msg FROM log_entries", limit="5")), 5)
    same(len(subject.rows("SELECT msg FROM log_entries", limit="0")), 0)
    raises(dbapi.ProgrammingError, lambda: subject.rows(count, query_range_begin="yesterday"))
    raises(dbapi.ProgrammingError, lambda: subject.rows(count, limit="-1"))


@check
def errors_are_of_the_right_kind(subject):
    for sql, kind, word in [
        ("SELECT * FROM no_such_table", dbapi.ProgrammingError, "no_such_table"),
        ("SELEC 1", dbapi.ProgrammingError, "SELEC"),
        ("CREATE TABLE made AS SELECT 1", (dbapi.ProgrammingError, dbapi.NotSupportedError), ""),
        ("INSERT INTO log_entries (msg) VALUES ('no')", (dbapi.ProgrammingError, dbapi.NotSupportedError), ""),
        ("SET datafusion.execution.batch_size = 1", (dbapi.ProgrammingError, dbapi.NotSupportedError), ""),
    ]:
        error = raises(kind, lambda: subject.rows(sql))
        assert word in str(error), error
    same(subject.rows("SELECT 1"), [(1,)])


@check
def a_query_is_cancelled(subject):
    with subject.connect() as connection, connection.cursor() as cursor:
        ended = []

        def ask():
            try:
                ended.append(cursor.execute(ENDLESS).fetchall())
            except Exception as error:
                ended.append(error)

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        for _ in range(60):
            time.sleep(0.5)
            cursor.adbc_cancel()
            asking.join(0.5)
            if ended:
                break
        assert ended, "the query goes on although it was cancelled"
        assert isinstance(ended[0], dbapi.Error), ended
    same(subject.rows("SELECT 1"), [(1,)])


@check
def a_million_rows_come_complete(subject):
    some = "(SELECT time, msg, level, target FROM log_entries ORDER BY time, msg LIMIT {})"
    sql = (f"SELECT a.time, a.msg, a.level, b.target FROM {some.format(150)} a CROSS JOIN {some.format(150)} b "
           f"CROSS JOIN {some.format(50)} c")
    [(rows, level, size)] = subject.rows(f"SELECT count(*), sum(level), sum(octet_length(msg)) FROM ({sql})")
    same(rows, 150 * 150 * 50)
    with subject.connect() as connection, connection.cursor() as cursor:
        found = [0, 0, 0]
        for batch in cursor.execute(sql).fetch_record_batch():
            found[0] += batch.num_rows
            found[1] += pyarrow.compute.sum(batch["level"]).as_py()
            found[2] += pyarrow.compute.sum(pyarrow.compute.binary_length(batch["msg"])).as_py()
    same(found, [rows, level, size])


@check
def flights_in_two_steps_give_the_rows(subject):
    info, table = subject.flight(statement(LOGS_BY_LEVEL))
    same(dict(zip(table["level"].to_pylist(), table["count"].to_pylist())), counted(subject))
    if info.schema is not None and len(info.schema) > 0:
        same(info.schema, table.schema)
    raises((pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError), lambda: subject.flight(statement("SELECT * FROM no_such_table")))


@check
def grafana_finds_tables_and_columns_and_asks(subject):
    by_grafana = {"x-client-type": "grafana", "x-user-name": "J%C3%BCrgen", "x-org-id": "1"}
    same(subject.flight(statement("select 1"), **by_grafana)[1].to_pydict().popitem()[1], [1])
    _, info = subject.flight(command("CommandGetSqlInfo"), **by_grafana)
    found = dict(zip(info["info_name"].to_pylist(), info["value"].to_pylist()))
    assert "belvedere" in found[0].lower() and found[1] and found[2], found
    kinds = [field(4, "BASE TABLE"), field(4, "table")]
    _, listed = subject.flight(command("CommandGetTables", *kinds), **by_grafana)
    assert VIEWS <= set(listed["table_name"].to_pylist()), listed["table_name"].to_pylist()
    _, listed = subject.flight(command("CommandGetTables", field(3, "log_entries"), *kinds, field(5, 1)), **by_grafana)
    same(listed["table_name"].to_pylist(), ["log_entries"])
    schema = pyarrow.ipc.read_schema(pyarrow.py_buffer(listed["table_schema"][0].as_py()))
    _, rows = subject.flight(statement("SELECT * FROM log_entries"), limit="7", **by_grafana)
    same((schema.names, rows.num_rows), (rows.schema.names, 7))
    # it reads plain types only
    same([f.name for f in rows.schema if pyarrow.types.is_dictionary(f.type)], [])
    first, _, last, total = bounds(subject)
    times = {"query_range_begin": first, "query_range_end": last}
    binned = ("SELECT date_bin(interval '1 second', time, timestamp '1970-01-01T00:00:00Z') AS time, count(*) AS count "
              f"FROM log_entries WHERE time >= cast('{first}' as timestamp) GROUP BY 1 ORDER BY 1")
    _, rows = subject.flight(statement(binned), **times, **by_grafana)
    same(sum(rows["count"].to_pylist()), total)


@check
def a_key_is_asked_for(subject):
    if subject.key is None:
        return "no key was named"
    for options in [{}, {DatabaseOptions.AUTHORIZATION_HEADER.value: "Bearer wrong"}]:
        with dbapi.connect(subject.uri, db_kwargs=options, autocommit=True) as connection, connection.cursor() as cursor:
            error = raises(dbapi.Error, lambda: cursor.execute("SELECT 1"))
            assert "unauthenticated" in str(error).lower(), error


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("uri")
    parser.add_argument("truth")
    parser.add_argument("--key")
    run(Subject(parser.parse_args()))
