/** What players wrote, newest first: a page of the web application, without a build step. */

const SQL = `SELECT time, player, level, note
FROM player_notes
ORDER BY time DESC
LIMIT 500`;

/** An element with a text. */
const made = (name, text = "") => {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
};

export default (page) => {
  let controller = new AbortController();
  const table = made("table");
  const said = made("p", "…");
  table.className = "facts";

  const show = async () => {
    controller.abort();
    controller = new AbortController();
    const { signal } = controller;
    page.begin();
    try {
      const rows = await page.query(SQL, { title: "notes", signal });
      const lines = Array.from({ length: rows.rows }, (_, row) => {
        const line = made("tr");
        const cells = [page.format.time(rows.get("time", row)), ...["player", "level", "note"].map((name) => page.format.visible(rows.get(name, row) ?? ""))];
        line.append(...cells.map((text) => made("td", text)));
        return line;
      });
      table.replaceChildren(...lines);
      said.textContent = rows.rows ? `${page.format.count(rows.rows)} notes${rows.isCut ? ", and not all of them" : ""}` : "Nobody wrote anything in this range.";
    } catch (error) {
      if (!signal.aborted) said.textContent = error.message;
    }
  };
  let stop = () => {};

  return {
    mount(element) {
      const body = made("div");
      body.className = "page-body";
      body.append(made("h1", "Notes"), said, table);
      element.append(body);
      stop = page.range.subscribe(show);
      return show();
    },
    dispose() {
      stop();
      controller.abort();
    },
  };
};
