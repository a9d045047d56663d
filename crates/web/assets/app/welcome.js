/** A lake that nothing was sent to: how to send something, with the address of this server. */
import { useEffect, useState } from "preact/hooks";
import { html } from "./html.js";
import { key, root } from "./api.js";
import { Copy } from "./lastline.js";

const ADDRESS = root.origin + root.pathname.replace(/\/$/, "");

/** The ways to send, as lines to paste. @param {{otlp: string, hasKey: boolean}} with_ @returns {{name: string, about: string, lines: string}[]} */
export function ways({ otlp, hasKey }) {
  const header = hasKey ? " -H 'Authorization: Bearer KEY'" : "";
  const log = '{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"hello"}}]},"scopeLogs":[{"scope":{"name":"shell"},"logRecords":[{"timeUnixNano":"\'"$(date +%s%N)"\'","severityNumber":9,"body":{"stringValue":"hello, lake"}}]}]}]}';
  return [
    { name: "curl", about: "One message by OTLP, to see whether it arrives.", lines: `curl ${otlp}/v1/logs -H 'Content-Type: application/json'${header} -d '${log}'` },
    { name: "OpenTelemetry", about: "Any SDK or collector.", lines: `export OTEL_EXPORTER_OTLP_ENDPOINT=${otlp}\nexport OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf${hasKey ? '\nexport OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20KEY"' : ""}` },
    { name: "Rust", about: "A program with the published client library.", lines: `cargo add micromegas-telemetry-sink micromegas-tracing\n# in main(): let _guard = micromegas_telemetry_sink::TelemetryGuard::new();\n${hasKey ? "MICROMEGAS_INGESTION_API_KEY=KEY " : ""}MICROMEGAS_TELEMETRY_URL=${ADDRESS} cargo run` },
    { name: "Unreal", about: "The plug-in of micromegas for Unreal Engine.", lines: `# in the module's startup:\nMicromegasTelemetry::InitTelemetry(TEXT("${ADDRESS}"), ...);` },
  ];
}

/** @param {{manifest: import("./api.js").Manifest | null}} props */
export function Welcome({ manifest }) {
  const [chosen, setChosen] = useState(0);
  const [dots, setDots] = useState(1);
  useEffect(() => {
    const timer = setInterval(() => setDots((n) => (n % 3) + 1), 700);
    return () => clearInterval(timer);
  }, []);
  const otlp = manifest?.otlp_http_port ? `${root.protocol}//${root.hostname}:${manifest.otlp_http_port}` : ADDRESS;
  const all = ways({ otlp, hasKey: key() !== null });
  const way = all[chosen];
  return html`<div class="welcome"><h1>This lake is empty</h1>
    <p>Send something to it. What arrives is here at once.</p>
    <div class="tabs" role="tablist">${all.map(({ name }, index) => html`<button type="button" role="tab" aria-selected=${index === chosen} aria-controls="way" onClick=${() => setChosen(index)}>${name}</button>`)}</div>
    <div id="way" role="tabpanel" aria-label=${way.name}><p>${way.about}</p><pre>${way.lines}</pre><${Copy} key=${chosen} text=${way.lines} label="Copy" /></div>
    ${key() ? html`<p class="quiet">KEY is a key with the right to send: <code>belvedere keys create NAME --rights send</code></p>` : null}
    <p class="waiting" role="status"><span class="pulse" aria-hidden="true"></span>waiting for the first block<span aria-hidden="true">${".".repeat(dots)}</span></p></div>`;
}
