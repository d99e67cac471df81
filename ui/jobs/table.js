// Draws the rows that Python sends as a real table: text can be selected, a link opened in a new tab, a key pressed.
// Rows are patched in place, so that a refresh keeps the focus and does not flicker. Only textContent is ever set.

function cell(tr, name) {
  let td = tr.querySelector(`.${name}`)
  if (!td) {
    td = document.createElement("td")
    td.className = name
    tr.append(td)
  }
  return td
}

function set(element, property, value) {
  if (element[property] !== value) element[property] = value
}

function part(parent, name, tag = "span") {
  let element = parent.querySelector(`:scope > .${name}`)
  if (!element) {
    element = document.createElement(tag)
    element.className = name
    parent.append(element)
  }
  return element
}

function fill(tr, row, open) {
  const state = part(cell(tr, "state"), "chip")
  set(state, "className", `chip ${row.colour}`)
  const icon = part(state, "icon")
  icon.setAttribute("aria-hidden", "true")
  set(icon, "textContent", row.icon)
  set(part(state, "word"), "textContent", row.word)

  const name = cell(tr, "name")
  const link = part(name, "link", "a")
  link.setAttribute("href", `?job=${row.id}`)
  set(link, "textContent", row.title)
  set(link, "title", row.title)
  set(part(name, "sub"), "textContent", row.sub)

  const progress = cell(tr, "progress")
  const bar = part(progress, "bar")
  bar.hidden = row.share === null
  const done = part(bar, "done")
  set(done.style, "width", `${(row.share ?? 0) * 100}%`)
  set(part(progress, "phase"), "textContent", row.phase)
  set(progress, "title", row.phase)

  for (const key of ["eta", "owner", "age"]) set(cell(tr, key), "textContent", row[key])
  set(cell(tr, "age"), "title", row.stamp)

  tr.onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return
    if (String(getSelection())) return
    event.preventDefault()
    open(row.id)
  }
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const table = parentElement.querySelector("table")
  table.setAttribute("aria-label", data.label)
  const head = table.tHead.rows[0]
  data.heads.forEach((text, i) => {
    if (!head.cells[i]) {
      const th = document.createElement("th")
      th.scope = "col"
      head.append(th)
    }
    set(head.cells[i], "textContent", text)
  })
  const body = table.tBodies[0]
  const known = new Map([...body.rows].map((tr) => [tr.dataset.id, tr]))
  data.rows.forEach((row, place) => {
    let tr = known.get(String(row.id))
    if (!tr) {
      tr = document.createElement("tr")
      tr.dataset.id = row.id
    }
    known.delete(String(row.id))
    fill(tr, row, (id) => setTriggerValue("open", id))
    if (body.rows[place] !== tr) body.insertBefore(tr, body.rows[place] ?? null)
  })
  known.forEach((tr) => tr.remove())
}
