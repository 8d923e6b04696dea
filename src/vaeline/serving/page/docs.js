// Show /openapi.json as a page.

const textElement = (name, text = "", kind = "") => Object.assign(document.createElement(name), { textContent: text, className: kind });
const container = (name, ...children) => { const node = document.createElement(name); node.append(...children); return node; };

/** Values as JSON. Long texts are cut off. */
function written(value) {
  const text = JSON.stringify(value, null, 1).replace(/\[\s+(-?[\d.]+)/g, "[$1").replace(/(-?[\d.]+,)\s+(?=-?[\d.])/g, "$1 ");
  return text.length > 900 ? `${text.slice(0, 900)} …` : text;
}

function curl(path, operation) {
  const address = `curl '${location.origin}${path}'`, kinds = operation.requestBody?.content;
  if (!kinds) return address;
  if (kinds["image/png"]) return `${address} -H 'Content-Type: image/png' --data-binary @image.png`;
  const [example] = Object.values(kinds["application/json"].examples);
  return `${address} -H 'Content-Type: application/json' -d '${JSON.stringify(example.value)}'`;
}

function table(rows) {
  return container("table", ...rows.map(([name, ...cells]) => container("tr", container("td", container("code", name)), ...cells.map((cell) => container("td", cell)))));
}

function describe(method, path, operation) {
  const badge = textElement("b", method.toUpperCase(), `method ${method}`);
  const section = container("section", container("h2", badge, path, textElement("span", operation.summary)), textElement("p", operation.description ?? ""));
  section.append(textElement("pre", curl(path, operation)));
  if (operation.parameters) {
    section.append(table(operation.parameters.map(({ name, schema, description }) => [
      name, `${description} (${schema.enum ? schema.enum.join(" or ") : schema.type}, default ${schema.default})`,
    ])));
  }
  const kinds = Object.keys(operation.requestBody?.content ?? {});
  if (kinds.length) section.append(textElement("p", `Body: ${kinds.join(" or ")}`));
  for (const example of Object.values(operation.requestBody?.content["application/json"]?.examples ?? {})) {
    section.append(container("details", textElement("summary", `body: ${example.summary}`), textElement("pre", written(example.value))));
  }
  const rows = Object.entries(operation.responses).map(([status, { description, content }]) => {
    const example = content?.["application/json"]?.example;
    const cell = container("div", description);
    if (example?.error) cell.append(" ", textElement("code", example.error));
    else if (example) cell.append(textElement("pre", written(example)));
    return [status, cell];
  });
  section.append(container("details", textElement("summary", "answers"), table(rows)));
  return section;
}

const found = await (await fetch("/openapi.json")).json();
for (const part of found.info.description.split("\n\n")) document.getElementById("about").append(textElement("p", part.replaceAll("`", "")));
for (const [path, methods] of Object.entries(found.paths)) {
  for (const [method, operation] of Object.entries(methods)) document.getElementById("paths").append(describe(method, path, operation));
}
