"""Reads a trace with Perfetto's own definitions (PyPI perfetto), and says as JSON what is in it.

Slices of a track must nest: an end without a begin, a begin without an end, and time that goes back are errors.
"""

import json
import sys
from collections import defaultdict

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

trace = Trace()
with open(sys.argv[1], "rb") as file:
    trace.ParseFromString(file.read())

tracks, kinds, names, categories = {}, {}, {}, {}
events = defaultdict(list)
errors = []
for i, packet in enumerate(trace.packet):
    if packet.trusted_packet_sequence_id != 1:
        errors.append(f"packet {i} is of another sequence")
    if bool(packet.sequence_flags & 1) != (i == 0):
        errors.append(f"packet {i} has the flags {packet.sequence_flags}")
    for text in packet.interned_data.event_names:
        names[text.iid] = text.name
    for text in packet.interned_data.event_categories:
        categories[text.iid] = text.name
    if packet.HasField("track_descriptor"):
        track = packet.track_descriptor
        kind = "counter" if track.HasField("counter") else "thread" if track.HasField("thread") else "process" if track.HasField("process") else "track"
        tracks[track.uuid] = track.thread.thread_name or track.process.process_name or track.name
        kinds[track.uuid] = kind
        if track.parent_uuid and track.parent_uuid not in tracks:
            errors.append(f"track {tracks[track.uuid]} has an unknown parent")
    if packet.HasField("track_event"):
        event = packet.track_event
        name = event.name if event.HasField("name") else names.get(event.name_iid)
        if event.type in (TrackEvent.TYPE_SLICE_BEGIN, TrackEvent.TYPE_INSTANT) and name is None:
            errors.append(f"packet {i} has no name")
        if event.track_uuid not in tracks:
            errors.append(f"packet {i} is of an unknown track")
        events[event.track_uuid].append((packet.timestamp, event.type, name))

found = {}
for uuid, happened in events.items():
    happened.sort(key=lambda e: e[0])
    kind = kinds.get(uuid)
    entry = {"kind": kind, "slices": 0, "max_depth": 0, "names": defaultdict(int), "instants": 0, "values": 0, "total": 0}
    open_slices = []
    for time, type_, name in happened:
        if type_ == TrackEvent.TYPE_SLICE_BEGIN:
            entry["slices"] += 1
            entry["names"][name] += 1
            open_slices.append(time)
            entry["max_depth"] = max(entry["max_depth"], len(open_slices))
        elif type_ == TrackEvent.TYPE_SLICE_END:
            if not open_slices:
                errors.append(f"{tracks[uuid]}: an end without a begin")
                continue
            begun = open_slices.pop()
            if not open_slices:
                entry["total"] += time - begun
        elif type_ == TrackEvent.TYPE_INSTANT:
            entry["instants"] += 1
        elif type_ == TrackEvent.TYPE_COUNTER:
            entry["values"] += 1
    if open_slices:
        errors.append(f"{tracks[uuid]}: {len(open_slices)} slices are left open")
    found[tracks[uuid]] = entry

print(json.dumps({"errors": errors[:20], "packets": len(trace.packet), "tracks": found}))
