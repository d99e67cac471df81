// Draws the links that Python sends. They are patched in place, so that a redraw keeps the focus; only textContent is ever set.
// What is pressed is marked at once: through a slow tunnel its content comes later.

function link(nav, place) {
  if (nav.children[place]) return nav.children[place]
  const made = document.createElement("a")
  const icon = document.createElement("span")
  icon.className = "icon"
  icon.setAttribute("aria-hidden", "true")
  made.append(icon, document.createElement("span"))
  nav.append(made)
  return made
}

function set(element, property, value) {
  if (element[property] !== value) element[property] = value
}

// On a phone the row is wider than the page: the current one is not left out of sight.
function show(nav, current) {
  if (!current.hasAttribute("aria-current")) return
  const [row, one] = [nav.getBoundingClientRect(), current.getBoundingClientRect()]
  if (one.left < row.left) nav.scrollLeft -= row.left - one.left
  else if (one.right > row.right) nav.scrollLeft += one.right - row.right
}

function mark(nav, current) {
  if (current.hasAttribute("aria-current")) return // a redraw leaves the row where a person has moved it
  for (const each of nav.children) each.removeAttribute("aria-current")
  current.setAttribute("aria-current", "page")
  show(nav, current)
  document.fonts.ready.then(() => show(nav, current)) // how wide the words are is known with their font
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const nav = parentElement.querySelector("nav")
  nav.setAttribute("aria-label", data.label)
  data.parts.forEach((part, place) => {
    const each = link(nav, place)
    each.setAttribute("href", part.href)
    set(each.children[0], "textContent", part.icon)
    set(each.children[1], "textContent", part.label)
    each.onclick = (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return
      event.preventDefault()
      if (part.key === data.current && each.hasAttribute("aria-current")) return // else it may be pressed again: the first press may be lost
      mark(nav, each)
      setTriggerValue("choose", part.key)
    }
  })
  while (nav.children.length > data.parts.length) nav.lastChild.remove()
  mark(nav, nav.children[data.parts.findIndex((part) => part.key === data.current)])
}
