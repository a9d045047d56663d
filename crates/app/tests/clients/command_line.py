"""The command line tools that come with the published Python client."""

import csv
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from checks import LEVELS, OF_PROGRAMS, same

BY_LEVEL = f"SELECT level, count(*) AS count FROM log_entries WHERE {OF_PROGRAMS} GROUP BY level ORDER BY level"


def tool(name, arguments, home, uri=None, stdin=""):
    """Runs a tool with a home of its own: what it said, or the error of a failure."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MICROMEGAS_")}
    environment["HOME"] = str(home)
    if uri is not None:
        environment["MICROMEGAS_ANALYTICS_URI"] = uri
    program = pathlib.Path(sys.executable).parent / name
    done = subprocess.run([program, *arguments], env=environment, input=stdin, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def check_command_line(subject):
    """`micromegas-query` in all formats, by address and by profile, its errors; `micromegas-logout`."""
    expected = [{"level": LEVELS.index(level), "count": count} for level, count in subject.process["logs_by_level"].items()]
    expected.sort(key=lambda row: row["level"])
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        settings = home / ".micromegas"
        settings.mkdir()
        profile = {"uri": subject.uri}
        if subject.key is not None:
            (home / "key").write_text(f"{subject.key}\n", encoding="utf-8")
            profile["api_key_file"] = str(home / "key")
        config = {"profiles": {"here": profile, "nobody": {"uri": "grpc://127.0.0.1:1"}}, "default_profile": "here"}
        (settings / "config.json").write_text(json.dumps(config), encoding="utf-8")

        def query(*arguments, **options):
            status, output, error = tool("micromegas-query", arguments, home, **options)
            same(status, 0, error)
            return output

        same(json.loads(query(BY_LEVEL, "--all", "--format", "json")), expected)
        rows = list(csv.DictReader(io.StringIO(query(BY_LEVEL, "--all", "--format", "csv", "--profile", "here").strip())))
        same([{k: int(v) for k, v in row.items()} for row in rows], expected)
        lines = query("--file", "-", "--all", stdin=BY_LEVEL).splitlines()
        same(lines[0].split(), ["level", "count"])
        same([[int(n) for n in line.split()] for line in lines[2:] if line], [list(row.values()) for row in expected])
        times = json.loads(query("SELECT arrow_cast(min(time), 'Utf8') AS first FROM log_entries", "--all", "--format", "json"))
        since = times[0]["first"].replace(" ", "T")[:10] + "T00:00:00Z"
        same(json.loads(query(BY_LEVEL, "--begin", since, "--end", "2100-01-01T00:00:00Z", "--format", "json")), expected)
        same(query("SELECT * FROM log_entries", "--begin", "2000-01-01T00:00:00Z", "--end", "2000-01-02T00:00:00Z").strip(), "no data")
        query("SELECT * FROM log_entries", "--all", "--max-colwidth", "20")
        query("SELECT * FROM processes", "--all")
        if subject.key is None:
            same(json.loads(query(BY_LEVEL, "--all", "--format", "json", uri=subject.uri)), expected)
        status, _, error = tool("micromegas-query", ["SELECT * FROM no_such_table", "--all"], home)
        assert status != 0 and "no_such_table" in error, error
        status, _, error = tool("micromegas-query", ["SELECT 1", "--all", "--profile", "nobody"], home)
        assert status != 0, "nobody listens there"

        same(tool("micromegas-logout", [], home)[:2], (0, "No saved tokens found\n"))
        tokens = settings / "tokens.json"
        tokens.write_text("{}", encoding="utf-8")
        status, output, error = tool("micromegas-logout", [], home)
        assert status == 0 and "cleared" in output and not tokens.exists(), error
