// /openapi.json as a page.

const made = (name, text = "", kind = "") => Object.assign(document.createElement(name), { textContent: text, className: kind });
const within = (name, ...children) => { const node = document.createElement(name); node.append(...children); return node; };

/** Values as JSON, with what is long cut short. */
function written(value) {
  const text = JSON.stringify(value, null, 1).replace(/\[\s+(-?[\d.]+)/g, "[$1").replace(/(-?[\d.]+,)\s+(?=-?[\d.])/g, "$1 ");
  return text.length > 900 ? `${text.slice(0, 900)} …` : text;
}

function curl(path, operation) {
  const address = `curl '${location.origin}${path}'`, kinds = operation.requestBody?.content;
  if (!kinds) return address;
  if (kinds["image/png"]) return `${address} -H 'Content-Type: image/png' --data-binary @digit.png`;
  const [example] = Object.values(kinds["application/json"].examples);
  return `${address} -H 'Content-Type: application/json' -d '${JSON.stringify(example.value)}'`;
}

function table(rows) {
  return within("table", ...rows.map(([name, ...cells]) => within("tr", within("td", within("code", name)), ...cells.map((cell) => within("td", cell)))));
}

function describe(method, path, operation) {
  const badge = made("b", method.toUpperCase(), `method ${method}`);
  const section = within("section", within("h2", badge, path, made("span", operation.summary)), made("p", operation.description ?? ""));
  section.append(made("pre", curl(path, operation)));
  if (operation.parameters) {
    section.append(table(operation.parameters.map(({ name, schema, description }) => [
      name, `${description} (${schema.enum ? schema.enum.join(" or ") : schema.type}, default ${schema.default})`,
    ])));
  }
  const kinds = Object.keys(operation.requestBody?.content ?? {});
  if (kinds.length) section.append(made("p", `Body: ${kinds.join(" or ")}`));
  for (const example of Object.values(operation.requestBody?.content["application/json"]?.examples ?? {})) {
    section.append(within("details", made("summary", `body: ${example.summary}`), made("pre", written(example.value))));
  }
  const rows = Object.entries(operation.responses).map(([status, { description, content }]) => {
    const example = content?.["application/json"]?.example;
    const cell = within("div", description);
    if (example?.error) cell.append(" ", made("code", example.error));
    else if (example) cell.append(made("pre", written(example)));
    return [status, cell];
  });
  section.append(within("details", made("summary", "answers"), table(rows)));
  return section;
}

const found = await (await fetch("/openapi.json")).json();
for (const part of found.info.description.split("\n\n")) document.getElementById("about").append(made("p", part.replaceAll("`", "")));
for (const [path, methods] of Object.entries(found.paths)) {
  for (const [method, operation] of Object.entries(methods)) document.getElementById("paths").append(describe(method, path, operation));
}
