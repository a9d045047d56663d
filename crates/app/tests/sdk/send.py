"""Sends spans, logs and metrics with the OpenTelemetry SDK, set up by nothing but its defaults and environment.

Prints as JSON what was sent, counted here. Argument: `http` or `grpc`.
"""

import json
import logging
import sys

from opentelemetry import trace
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

protocol = sys.argv[1]
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

service = f"sdk-{protocol}"
resource = Resource.create({"service.name": service, "service.instance.id": "1", "zone": 7})
attributes = {
    "text": "ü🚲", "empty": "", "int": -7, "large": 2**62, "double": 0.5, "true": True,
    "texts": ["a", "b"], "ints": [1, 2, 3], "doubles": [0.25], "none": [],
}

traces = TracerProvider(resource=resource)
traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = traces.get_tracer("sdk.test", "1.2", attributes={"of": "scope"})
logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
logger = logging.getLogger("sdk")
logger.addHandler(LoggingHandler(logger_provider=logs))
logger.setLevel(logging.DEBUG)
metrics = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource)
meter = metrics.get_meter("sdk.meter")

sent = {"service": service, "attributes": attributes, "spans": []}
with tracer.start_as_current_span("outer", kind=trace.SpanKind.SERVER, attributes=attributes) as outer:
    outer.add_event("something", {"n": 1, "list": ["x"]})
    for i in range(3):
        with tracer.start_as_current_span("inner", links=[trace.Link(outer.get_span_context(), {"why": i})]) as inner:
            logger.warning("message %d", i, extra={"i": i})
            if i == 2:
                inner.set_status(trace.Status(trace.StatusCode.ERROR, "no luck"))
            sent["spans"].append(format(inner.get_span_context().span_id, "016x"))
    sent["trace_id"] = format(outer.get_span_context().trace_id, "032x")
    sent["outer"] = format(outer.get_span_context().span_id, "016x")
counter = meter.create_counter("sdk.count", "1", "things")
histogram = meter.create_histogram("sdk.time", "ms")
for i in range(5):
    counter.add(i, {"odd": i % 2 == 1})
    histogram.record(i * 1.5)

ok = traces.force_flush() and logs.force_flush() and metrics.force_flush()
for provider in (traces, logs, metrics):
    provider.shutdown()
print(json.dumps(sent))
sys.exit(0 if ok else 1)
