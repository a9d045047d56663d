/** The lake itself: what runs, what is behind, what is kept, and what could not be read. */
import { useEffect, useState } from "preact/hooks";
import { html } from "../html.js";
import { ask, cancel, me } from "../api.js";
import { objects } from "../catalog.js";
import { faults, loadFaults } from "../lastline.js";
import { openSql } from "../open.js";
import { present, zone } from "../range.js";
import { formatBytes, formatCount, plural, visible } from "../format.js";
import { toast } from "../state.js";
import { now, formatDuration, formatTime, SECOND } from "../time.js";

const RECENT = `SELECT count(*) AS blocks, coalesce(sum(payload_size), 0) AS bytes, count(DISTINCT process_id) AS processes, max(insert_time) AS newest
FROM blocks
WHERE insert_time > now() - INTERVAL '1 minute'`;
const ALL = "SELECT count(*) AS blocks, coalesce(sum(payload_size), 0) AS bytes, min(insert_time) AS oldest, max(insert_time) AS newest FROM blocks";
const KEPT = `SELECT view_set_name AS name, count(*) AS files, sum(num_rows) AS rows, sum(file_size) AS bytes, sum(num_unreadable_blocks) AS unreadable, max(updated) AS updated
FROM list_partitions()
GROUP BY 1
ORDER BY bytes DESC`;
const SENDERS = `SELECT "processes.exe" AS exe, "processes.computer" AS computer, count(*) AS blocks, sum(payload_size) AS bytes, max(CAST(insert_time AS BIGINT) - CAST(end_time AS BIGINT)) AS behind
FROM blocks
WHERE insert_time > now() - INTERVAL '15 minutes'
GROUP BY 1, 2
ORDER BY bytes DESC
LIMIT 20`;
const QUERIES = "SELECT * FROM list_queries()";

/** Asks each some seconds while the page is seen. @param {string} title @param {string} sql @param {number} seconds */
function usePolled(title, sql, seconds) {
  const [state, setState] = useState(/** @type {{rows: Record<string, any>[] | null, fault: string}} */ ({ rows: null, fault: "" }));
  useEffect(() => {
    const controller = new AbortController();
    let timer = 0;
    const look = async () => {
      if (!document.hidden) {
        try {
          const rows = objects(await ask({ title, sql, signal: controller.signal, isQuiet: true }));
          setState({ rows, fault: "" });
        } catch (error) {
          if (controller.signal.aborted) return;
          setState((before) => ({ ...before, fault: error instanceof Error ? error.message : String(error) }));
        }
      }
      if (!controller.signal.aborted) timer = setTimeout(look, 1000 * seconds);
    };
    void look();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [sql, present.value]);
  return state;
}

export function Lake() {
  const [who, setWho] = useState(/** @type {import("../api.js").Me | null} */ (null));
  useEffect(() => {
    me().then(setWho, () => {});
    void loadFaults();
  }, [present.value]);
  const recent = usePolled("what came in the last minute", RECENT, 5);
  const all = usePolled("all blocks", ALL, 15);
  const kept = usePolled("what is kept", KEPT, 15);
  const senders = usePolled("who sends", SENDERS, 15);
  const last = recent.rows?.[0];
  const total = all.rows?.[0];
  const files = (kept.rows ?? []).reduce((sum, one) => ({ files: sum.files + Number(one.files), bytes: sum.bytes + Number(one.bytes ?? 0) }), { files: 0, bytes: 0 });
  const newest = total?.newest;
  return html`<div class="page-body is-wide"><h1>Lake</h1>
    <div class="cards">
      <${Card} title="In the last minute" value=${last ? formatCount(Number(last.blocks)) : "…"} unit="blocks" about=${last ? `${formatBytes(Number(last.bytes) / 60)}/s from ${plural(Number(last.processes), "process", "processes")}` : ""} />
      <${Card} title="Newest block" value=${newest ? ago(newest) : total ? "none" : "…"} unit=${newest ? "ago" : ""} about=${newest ? formatTime(newest, zone.value).slice(0, 19) : ""} />
      <${Card} title="Blocks" value=${total ? formatCount(Number(total.blocks)) : "…"} unit="" about=${total ? `${formatBytes(Number(total.bytes))} as they were sent` : ""} />
      <${Card} title="Rows in files" value=${kept.rows ? formatBytes(files.bytes) : "…"} unit="" about=${plural(files.files, "partition")} />
      <${Card} title="Could not be read" value=${formatCount(faults.value.length)} unit=${faults.value.length === 1 ? "block" : "blocks"} about=${faults.value.length ? "their rows are missing from answers" : "every block was understood"} isBad=${faults.value.length > 0} />
    </div>
    ${[recent, all, kept, senders].find(({ fault }) => fault) ? html`<p class="notice is-warn" role="alert">${visible([recent, all, kept, senders].find(({ fault }) => fault)?.fault ?? "")}</p>` : null}
    <${Queries} who=${who} />
    ${faults.value.length ? html`<section class="panel"><div class="panel-head"><h2>Blocks that could not be read</h2><span class="grow"></span><button type="button" class="small" onClick=${() => openSql("SELECT * FROM block_faults()", true)}>= SQL</button></div>
      <table class="facts"><thead><tr><th>block</th><th>table</th><th>why</th><th></th></tr></thead><tbody>${faults.value.slice(0, 50).map((fault) => html`<tr><td><code>${fault.block}</code></td><td>${fault.viewSet}</td><td>${visible(fault.why)}</td><td class="right"><button type="button" class="small" onClick=${() => openSql(`SELECT * FROM parse_block('${fault.block.replaceAll("'", "''")}')`, true)}>raw</button></td></tr>`)}</tbody></table></section>` : null}
    <section class="panel"><div class="panel-head"><h2>Kept in files</h2><span class="grow"></span><button type="button" class="small" onClick=${() => openSql(KEPT, true)}>= SQL</button></div>
      ${kept.rows?.length ? html`<table class="facts"><thead><tr><th>table</th><th class="right">partitions</th><th class="right">rows</th><th class="right">bytes</th><th class="right">blocks not read</th><th>last made</th></tr></thead><tbody>${kept.rows.map((one) => html`<tr><th scope="row">${one.name}</th><td class="right number">${formatCount(one.files)}</td><td class="right number">${formatCount(one.rows ?? 0)}</td><td class="right number">${formatBytes(Number(one.bytes ?? 0))}</td><td class=${Number(one.unreadable) ? "right number bad" : "right number quiet"}>${formatCount(one.unreadable ?? 0)}</td><td class="quiet">${formatTime(one.updated, zone.value).slice(0, 19)}</td></tr>`)}</tbody></table>` : html`<p class="quiet">${kept.rows ? "Nothing is kept in files yet: rows are made from blocks as somebody asks. belvedere serve with the role daemon keeps them." : "…"}</p>`}</section>
    <section class="panel"><div class="panel-head"><h2>Who sends</h2><span class="quiet">in the last 15 minutes</span><span class="grow"></span><button type="button" class="small" onClick=${() => openSql(SENDERS, true)}>= SQL</button></div>
      ${senders.rows?.length ? html`<table class="facts"><thead><tr><th>program</th><th>machine</th><th class="right">blocks</th><th class="right">bytes</th><th class="right">received after its end, at most</th></tr></thead><tbody>${senders.rows.map((one) => html`<tr><th scope="row"><bdi>${visible(one.exe ?? "")}</bdi></th><td><bdi>${visible(one.computer ?? "")}</bdi></td><td class="right number">${formatCount(one.blocks)}</td><td class="right number">${formatBytes(Number(one.bytes))}</td><td class=${Number(one.behind) > 60e9 || Number(one.behind) < -5e9 ? "right number warn" : "right number"}>${Number(one.behind) < 0 ? "−" : ""}${formatDuration(rounded(BigInt(one.behind ?? 0)))}</td></tr>`)}</tbody></table>` : html`<p class="quiet">${senders.rows ? "Nobody." : "…"}</p>`}</section>
    <p class="quiet">${who ? html`You are <b>${visible(who.name)}</b>, who may ${who.rights.map((right) => ({ send: "send", read: "read", admin: "administer" })[right] ?? right).join(", ")}. Belvedere ${who.version}.` : ""}</p></div>`;
}

/** Of a duration, what somebody reads. @param {bigint} duration */
function rounded(duration) {
  const size = duration < 0n ? -duration : duration;
  const step = size >= 100n * SECOND ? SECOND : size >= SECOND ? SECOND / 10n : SECOND / 1000n;
  return (size / step) * step;
}

/** @param {bigint} time */
const ago = (time) => formatDuration(((now() - time) / SECOND) * SECOND);

/** @param {{title: string, value: string, unit: string, about: string, isBad?: boolean}} props */
const Card = ({ title, value, unit, about, isBad = false }) => html`<section class=${isBad ? "card is-bad" : "card"}><h3>${title}</h3><p class="card-value number">${value} <span class="quiet">${unit}</span></p><p class="quiet">${about}</p></section>`;

/** @param {{who: import("../api.js").Me | null}} props */
function Queries({ who }) {
  const { rows, fault } = usePolled("queries that run", QUERIES, 2);
  // the one that asks for the list is not meant
  const others = (rows ?? []).filter(({ sql }) => sql !== QUERIES);
  const end = async (/** @type {string} */ id) => {
    try {
      await cancel(id);
      toast("The query ends");
    } catch (error) {
      toast(error instanceof Error ? error.message : String(error));
    }
  };
  return html`<section class="panel"><div class="panel-head"><h2>Queries that run</h2><span class="quiet">${who?.rights.includes("admin") ? "of everybody" : "your own"}</span></div>
    ${fault ? html`<p class="fault">${visible(fault)}</p>` : null}
    ${others.length ? html`<table class="facts"><thead><tr><th>who</th><th>by</th><th>state</th><th class="right">seconds</th><th class="right">rows</th><th class="right">blocks</th><th class="right">memory</th><th>SQL</th><th></th></tr></thead><tbody>${others.map((one) => html`<tr key=${one.query_id}><td><bdi>${visible(one.user ?? "")}</bdi></td><td>${visible(one.client ?? "")}</td><td>${one.state}</td><td class="right number">${one.seconds.toFixed(1)}</td><td class="right number">${formatCount(one.rows)}</td><td class="right number">${formatCount(one.blocks_decoded)}</td><td class="right number">${formatBytes(Number(one.memory_bytes))}</td><td class="one-line"><code title=${one.sql}>${visible(one.sql.slice(0, 300))}</code></td><td class="right"><button type="button" class="small" onClick=${() => end(one.query_id)}>Cancel</button></td></tr>`)}</tbody></table>` : html`<p class="quiet">${rows ? "None." : "…"}</p>`}</section>`;
}
