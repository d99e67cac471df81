// Draws the runs that Python sends as a real table: rows are links, boxes are ticked to compare. Rows are patched in place; only textContent is set.

function cell(tr, name, tag = "td") {
  let td = tr.querySelector(`:scope > .${name}`)
  if (!td) {
    td = document.createElement(tag)
    td.className = name
    tr.append(td)
  }
  return td
}

function part(parent, name, tag = "span") {
  let element = parent.querySelector(`:scope > .${name.split(" ")[0]}`)
  if (!element) {
    element = document.createElement(tag)
    element.className = name
    parent.append(element)
  }
  return element
}

function set(element, property, value) {
  if (element[property] !== value) element[property] = value
}

function fill(tr, row, labels, open, pick) {
  const tick = part(cell(tr, "tick"), "box", "input")
  tick.type = "checkbox"
  set(tick, "checked", row.picked)
  set(tick, "disabled", row.full)
  tick.setAttribute("aria-label", `${labels.pick}: ${row.title}`)
  tick.onclick = (event) => event.stopPropagation()
  tick.onchange = () => pick(row.id)

  const name = cell(tr, "name")
  const link = part(name, "link", "a")
  link.setAttribute("href", row.href)
  set(link, "textContent", row.title)
  set(link, "title", row.title)
  set(part(name, "sub"), "textContent", row.sub)

  const score = cell(tr, "score")
  set(part(score, "value"), "textContent", row.score)
  set(part(score, "sub"), "textContent", row.interval)
  const bar = part(score, "bar")
  bar.hidden = row.low === null
  const band = part(bar, "band")
  set(band.style, "left", `${row.low ?? 0}%`)
  set(band.style, "width", `${Math.max(1, (row.high ?? 0) - (row.low ?? 0))}%`)

  const over = cell(tr, "set")
  set(part(over, "text"), "textContent", row.set)
  set(part(over, "sub"), "textContent", row.evaluator)

  const chip = part(cell(tr, "state"), "chip")
  set(chip, "className", `chip ${row.colour}`)
  const icon = part(chip, "icon")
  icon.setAttribute("aria-hidden", "true")
  set(icon, "textContent", row.icon)
  set(part(chip, "word"), "textContent", row.word)

  const age = cell(tr, "age")
  set(age, "textContent", row.age)
  set(age, "title", row.stamp)

  tr.onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return
    if (String(getSelection()) || event.target.closest(".tick")) return
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
    fill(tr, row, data, (id) => setTriggerValue("open", id), (id) => setTriggerValue("pick", id))
    if (body.rows[place] !== tr) body.insertBefore(tr, body.rows[place] ?? null)
  })
  known.forEach((tr) => tr.remove())
}
