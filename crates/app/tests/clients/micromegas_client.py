"""Every method of the published Python client (PyPI micromegas), against a server that has a recording.

    python micromegas_client.py grpc://ADDRESS RECORDING.truth.json [--key KEY] [--catalog FILE]

The key is one that administers. With the SQLite file of the lake's catalog a partition is made to look as if another
version had written it.
"""

import argparse
import contextlib
import io
import json
import pathlib
import sqlite3
import tempfile
import uuid
from datetime import datetime, timedelta, timezone

import micromegas
import micromegas.admin
import micromegas.perfetto
import pandas
import pyarrow
from micromegas.auth import StaticTokenAuthProvider
from micromegas.flightsql.client import FlightSQLClient
from pyarrow import flight

import recorded
from checks import LEVELS, OF_PROGRAMS, check, raises, run, same
from command_line import check_command_line

EVER = (datetime(2000, 1, 1, tzinfo=timezone.utc), datetime(2100, 1, 1, tzinfo=timezone.utc))
SECONDS_OF_EVER = 36525 * 86400


class Subject:
    """What is under test, and what must come out."""

    def __init__(self, arguments):
        self.uri = arguments.uri
        self.key = arguments.key
        self.catalog = arguments.catalog
        self.truth_path = arguments.truth
        self.process = json.loads(pathlib.Path(arguments.truth).read_text(encoding="utf-8"))["processes"][0]
        self.id = self.process["process"]["process_id"]
        self.client = self.connect()

    def connect(self, **options):
        if self.key is None and not options:
            return micromegas.connect(self.uri)
        provider = None if self.key is None else StaticTokenAuthProvider(self.key)
        return FlightSQLClient(self.uri, auth_provider=provider, **options)

    def number(self, sql, *times):
        return int(self.client.query(sql, *times).iloc[0, 0])

    def logs(self):
        return self.number(f"SELECT count(*) FROM log_entries WHERE process_id = '{self.id}'")


def by_level(rows):
    return {LEVELS[level]: int(count) for level, count in zip(rows["level"], rows["count"])}


def in_any_order(table):
    return sorted(map(repr, table.to_pylist()))


LOGS_BY_LEVEL = f"SELECT level, count(*) AS count FROM log_entries WHERE {OF_PROGRAMS} GROUP BY level"


@check
def query_gives_what_the_program_counted(subject):
    same(by_level(subject.client.query(LOGS_BY_LEVEL)), subject.process["logs_by_level"])
    rows = subject.client.query(
        "SELECT name, count(*) AS count, sum(value) AS sum, min(value) AS min, max(value) AS max FROM measures GROUP BY name"
    )
    found = {row["name"]: row for _, row in rows.iterrows()}
    for name, truth in subject.process["metrics"].items():
        same({key: float(found[name][key]) for key in ["count", "sum", "min", "max"]},
             {key: float(truth[key]) for key in ["count", "sum", "min", "max"]}, name)


@check
def a_semicolon_an_http_address_and_a_label_are_taken(subject):
    same(subject.number("SELECT count(*) FROM log_entries;"), subject.number("SELECT count(*) FROM log_entries"))
    http = FlightSQLClient(subject.uri.replace("grpc://", "http://"), client_entrypoint="check",
                           auth_provider=None if subject.key is None else StaticTokenAuthProvider(subject.key))
    same(int(http.query("SELECT 1 AS one").iloc[0, 0]), 1)


@check
def an_empty_answer_has_its_columns(subject):
    rows = subject.client.query("SELECT time, level, msg FROM log_entries WHERE level > 100")
    same((len(rows), list(rows.columns)), (0, ["time", "level", "msg"]))


@check
def each_bound_of_a_range_works_alone_and_in_every_form_of_a_time(subject):
    times = subject.client.query("SELECT time FROM log_entries ORDER BY time")["time"]
    # between two messages: what is rounded to microseconds is still between them
    gap = times.diff().iloc[1:].idxmax()
    middle = times[gap - 1] + (times[gap] - times[gap - 1]) / 2
    assert times[gap] - times[gap - 1] > timedelta(microseconds=10), "the messages are too close to each other"
    first, last = times.iloc[0] - timedelta(seconds=1), times.iloc[-1] + timedelta(seconds=1)
    before, after = int(gap), len(times) - int(gap)
    count = "SELECT count(*) FROM log_entries"
    forms = [lambda t: t, lambda t: t.to_pydatetime(warn=False), lambda t: t.to_pydatetime(warn=False).isoformat(),
             lambda t: t.to_pydatetime(warn=False).isoformat().replace("+00:00", "Z"),
             lambda t: t.to_pydatetime(warn=False).astimezone(timezone(timedelta(hours=-7)))]
    for i, form in enumerate(forms):
        same(subject.number(count, form(first), form(middle)), before, f"both bounds, form {i}")
        same(subject.number(count, form(middle), form(last)), after, f"both bounds, form {i}")
        same(subject.number(count, form(middle), None), after, f"only a beginning, form {i}")
        same(subject.number(count, None, form(middle)), before, f"only an end, form {i}")
    same(len(subject.client.query("SELECT time FROM log_entries", last, first)), 0, "an end before the beginning")
    same(subject.number(count, times.iloc[0], times.iloc[-1]), len(times), "both bounds are inclusive")
    raises(RuntimeError, lambda: subject.client.query(count, datetime(2026, 1, 1), None))


@check
def query_arrow_and_query_stream_give_the_same_rows(subject):
    sql = "SELECT time, level, target, msg, properties FROM log_entries ORDER BY time, msg"
    table = subject.client.query_arrow(sql)
    same(table.num_rows, subject.number("SELECT count(*) FROM log_entries"))
    same(str(table.schema.field("time").type), "timestamp[ns, tz=+00:00]")
    same([f.name for f in table.schema if pyarrow.types.is_dictionary(f.type)], [])
    batches = list(subject.client.query_stream(sql))
    assert all(isinstance(batch, pyarrow.RecordBatch) for batch in batches)
    same(in_any_order(pyarrow.Table.from_batches(batches, table.schema)), in_any_order(table))
    # an answer that nobody takes to its end is no trouble
    same(next(subject.client.query_stream("SELECT * FROM log_entries")).num_rows > 0, True)


@check
def preserve_dictionary_keeps_dictionaries_and_changes_no_value(subject):
    keeping = subject.connect(preserve_dictionary=True)
    for sql in ["SELECT * FROM log_entries", "SELECT * FROM measures", "SELECT * FROM processes"]:
        plain, kept = subject.client.query_arrow(sql), keeping.query_arrow(sql)
        same(in_any_order(kept), in_any_order(plain), sql)
        kinds = [(f.name, kept.schema.field(f.name).type) for f in plain.schema]
        dictionaries = [name for name, kind in kinds if pyarrow.types.is_dictionary(kind)]
        for name in dictionaries:
            same(kept.schema.field(name).type.value_type, plain.schema.field(name).type, name)
        # through pandas, which can't have dictionaries of lists
        same(len(keeping.query(sql)), plain.num_rows)
        if "processes" not in sql:
            assert dictionaries, f"{sql}: no column is a dictionary"


@check
def prepared_statements_tell_the_columns_and_give_the_rows(subject):
    sql = f"SELECT time, level, msg FROM log_entries WHERE {OF_PROGRAMS}"
    statement = subject.client.prepare_statement(sql)
    same(statement.query, sql)
    same(statement.dataset_schema.names, ["time", "level", "msg"])
    same([str(t) for t in statement.dataset_schema.types[:2]], ["timestamp[ns, tz=+00:00]", "int32"])
    rows = sum(batch.num_rows for batch in subject.client.prepared_statement_stream(statement))
    same(rows, sum(subject.process["logs_by_level"].values()))
    raises(Exception, lambda: subject.client.prepare_statement("SELECT nothing FROM log_entries"))


@check
def processes_streams_blocks_and_spans_are_found(subject):
    client, truth = subject.client, subject.process["process"]
    process = client.find_process(subject.id)
    same(len(process), 1)
    for column in ["exe", "computer", "username", "parent_process_id"]:
        same(process[column].iloc[0], truth[column] or "", column)
    same(len(client.find_process(str(uuid.uuid4()))), 0)
    streams = client.query_streams(*EVER, 1000, process_id=subject.id)
    same(len(streams), subject.number(f"SELECT count(*) FROM streams WHERE process_id = '{subject.id}'"))
    same(len(client.query_streams(*EVER, 2)), 2)
    of_logs = client.query_streams(*EVER, 1000, process_id=subject.id, tag_filter="log")
    same([list(tags) for tags in of_logs["tags"]], [["log"]])
    blocks = client.query_blocks(*EVER, 1000, of_logs["stream_id"].iloc[0])
    same(int(blocks["nb_objects"].sum()), subject.logs())
    found = {}
    for stream in client.query_streams(*EVER, 1000, tag_filter="cpu")["stream_id"]:
        spans = client.query_spans(*EVER, 1_000_000, stream)
        for name in spans[spans["depth"] > 0]["name"]:
            found[name] = found.get(name, 0) + 1
    same(found, subject.process["thread_spans_by_name"])


def said(action):
    """The lines that an action prints."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        action()
    return output.getvalue().splitlines()


def partitions(subject):
    return subject.number(
        "SELECT count(*) FROM list_partitions() WHERE view_set_name = 'log_entries' AND view_instance_id = 'global'")


@check
def partitions_are_made_made_again_and_taken_away_without_changing_answers(subject):
    client, before = subject.client, subject.logs()
    assert said(lambda: client.materialize_partitions("log_entries", *EVER, SECONDS_OF_EVER)), "nothing is said"
    assert partitions(subject) > 0, "no partition was made"
    same(subject.logs(), before)
    assert said(lambda: client.regenerate_partitions("log_entries", *EVER, SECONDS_OF_EVER)), "nothing is said"
    assert partitions(subject) > 0, "no partition was made again"
    same(subject.logs(), before)
    assert said(lambda: client.retire_partitions("log_entries", "global", *EVER)), "nothing is said"
    same((partitions(subject), subject.logs()), (0, before))


@check
def partitions_of_another_schema_are_listed_and_retired(subject):
    columns = ["view_set_name", "view_instance_id", "begin_insert_time", "end_insert_time", "incompatible_schema_hash",
               "current_schema_hash", "file_path", "file_size"]
    client = subject.client
    listed = micromegas.admin.list_incompatible_partitions(client)
    same((list(listed.columns), len(listed)), (columns, 0))
    same(len(micromegas.admin.retire_incompatible_partitions(client, "log_entries")), 0)
    if subject.catalog is None:
        return "no catalog was named"
    before = subject.logs()
    said(lambda: client.materialize_partitions("log_entries", *EVER, SECONDS_OF_EVER))
    with contextlib.closing(sqlite3.connect(subject.catalog, timeout=30)) as catalog, catalog:
        rows = catalog.execute("SELECT partition_id, schema_hash FROM partitions WHERE view_set = 'log_entries'").fetchall()
        for partition, schema_hash in rows:
            other = schema_hash[:-1] + bytes([schema_hash[-1] ^ 1])
            catalog.execute("UPDATE partitions SET schema_hash = ? WHERE partition_id = ?", (other, partition))
    assert rows, "no partition was made"
    listed = micromegas.admin.list_incompatible_partitions(client, "log_entries")
    same(len(listed), len(rows))
    same(len(micromegas.admin.list_incompatible_partitions(client, "measures")), 0)
    same(subject.logs(), before, "partitions of another schema are not read")
    results = micromegas.admin.retire_incompatible_partitions(client, "log_entries")
    same((int(results["partitions_retired"].sum()), int(results["partitions_failed"].sum())), (len(rows), 0),
         str(results["retirement_messages"].tolist()))
    same(len(micromegas.admin.list_incompatible_partitions(client)), 0)
    same(subject.logs(), before)


@check
def traces_have_the_spans(subject):
    for types in ["thread", "async", "both"]:
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "trace"
            said(lambda: micromegas.perfetto.write_process_trace(subject.client, subject.id, *EVER, str(path), types))
            begins, ends = recorded.slices(path.read_bytes())
        same(begins, ends, types)
        spans = subject.number(
            f"SELECT count(*) FROM process_spans('{subject.id}', '{types}') WHERE depth > 0 OR thread_name = 'async'", *EVER)
        same(spans >= sum(subject.process["thread_spans_by_name"].values()), types != "async", types)
        # there may be slices of other things beside them
        assert begins >= spans > 0, (types, begins, spans)


@check
def errors_say_what_is_wrong(subject):
    for sql, kinds, words in [
        ("SELECT * FROM no_such_table", pyarrow.ArrowInvalid, ["no_such_table"]),
        ("SELECT no_such_column FROM log_entries", pyarrow.ArrowInvalid, ["no_such_column"]),
        ("SELEC 1", pyarrow.ArrowInvalid, ["SELEC"]),
        ("", pyarrow.ArrowInvalid, []),
        ("SELECT 1; SELECT 2", (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError), []),
        ("SELECT * FROM view_instance('no_such_view', 'global')", pyarrow.ArrowInvalid, ["no_such_view"]),
        ("COPY (SELECT 1) TO '/tmp/belvedere_must_not_write'",
         (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, flight.FlightError), []),
    ]:
        for ask in [subject.client.query, subject.client.query_arrow, lambda sql: list(subject.client.query_stream(sql))]:
            text = str(raises(kinds, lambda: ask(sql)))
            for word in [*words, "query_id="]:
                assert word in text, f"{sql}: {word!r} is not in {text!r}"
            assert "backtrace" not in text.lower() and ".rs:" not in text, text
    assert not pathlib.Path("/tmp/belvedere_must_not_write").exists()
    wrong = flight.FlightCallOptions(headers=[(b"query_range_begin", b"yesterday")])
    raw = flight.connect(subject.uri)
    if subject.key is None:
        reader = lambda: raw.do_get(flight.Ticket(recorded.statement_ticket("SELECT 1")), options=wrong).read_all()
        assert "query_range_begin" in str(raises(pyarrow.ArrowInvalid, reader))


@check
def a_key_is_asked_for(subject):
    if subject.key is None:
        return "no key was named"
    for provider in [None, StaticTokenAuthProvider("wrong")]:
        stranger = FlightSQLClient(subject.uri, auth_provider=provider)
        raises(flight.FlightUnauthenticatedError, lambda: stranger.query("SELECT 1"))


check(check_command_line)


# from here on there is more in the lake than was recorded
@check
def bulk_ingest_takes_what_another_lake_gives(subject):
    client = subject.client
    requests = recorded.payloads(subject.truth_path.replace(".truth.json", ".jsonl.gz"))
    old, new = subject.id, str(uuid.uuid4())

    def replaced(table, **columns):
        for name, values in columns.items():
            i = table.schema.get_field_index(name)
            table = table.set_column(i, table.schema.field(i), pyarrow.array(values, table.schema.field(i).type))
        return table

    def taken(name, table):
        # what comes again is counted, and changes nothing
        for _ in range(2):
            same(client.bulk_ingest(name, table).record_count, table.num_rows, name)

    columns = ("process_id, exe, username, realname, computer, distro, cpu_brand, tsc_frequency, start_time, start_ticks, "
               "insert_time, parent_process_id, properties")
    process = client.query_arrow(f"SELECT {columns} FROM processes WHERE process_id = '{old}'")
    process = replaced(process, process_id=[new], exe=["/replica"])
    # newer servers of the platform have a column more
    taken("processes", process.append_column("audience", pyarrow.array(["public"])))
    same(client.find_process(new)["exe"].tolist(), ["/replica"])
    columns = "stream_id, process_id, dependencies_metadata, objects_metadata, tags, properties, insert_time, format"
    for tag, order in [("log", ["blocks", "payloads"]), ("metrics", ["payloads", "blocks"])]:
        stream = client.query_arrow(
            f"SELECT {columns} FROM streams WHERE process_id = '{old}' AND array_position(tags, '{tag}') IS NOT NULL")
        same(stream.num_rows, 1, tag)
        old_stream, new_stream = stream["stream_id"][0].as_py(), str(uuid.uuid4())
        taken("streams", replaced(stream, stream_id=[new_stream], process_id=[new]))
        blocks = client.query_arrow(
            "SELECT block_id, stream_id, process_id, begin_time, begin_ticks, end_time, end_ticks, nb_objects, "
            f"object_offset, payload_size, insert_time FROM blocks WHERE stream_id = '{old_stream}'")
        old_blocks = blocks["block_id"].to_pylist()
        ids = [str(uuid.uuid4()) for _ in old_blocks]
        streams, processes = [new_stream] * len(ids), [new] * len(ids)
        tables = {
            "blocks": replaced(blocks, block_id=ids, stream_id=streams, process_id=processes),
            "payloads": pyarrow.table({
                "process_id": processes, "stream_id": streams, "block_id": ids,
                "payload": pyarrow.array([requests[block] for block in old_blocks], pyarrow.binary()),
            }),
        }
        for name in order:
            taken(name, tables[name])
    for view in ["log_entries", "measures"]:
        count = f"SELECT count(*) FROM {view} WHERE process_id = "
        same(subject.number(f"{count}'{new}'"), subject.number(f"{count}'{old}'"), view)
    text = "SELECT time, level, target, msg FROM log_entries WHERE process_id = '{}'"
    same(in_any_order(client.query_arrow(text.format(new))), in_any_order(client.query_arrow(text.format(old))))


@check
def bulk_ingest_refuses_what_it_does_not_know(subject):
    nobody = pyarrow.table({"process_id": [str(uuid.uuid4())]})
    missing = str(raises(Exception, lambda: subject.client.bulk_ingest("processes", nobody)))
    assert "exe" in missing, missing
    assert "no_such_table" in str(raises(Exception, lambda: subject.client.bulk_ingest("no_such_table", nobody)))

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("uri")
    parser.add_argument("truth")
    parser.add_argument("--key")
    parser.add_argument("--catalog")
    run(Subject(parser.parse_args()))
