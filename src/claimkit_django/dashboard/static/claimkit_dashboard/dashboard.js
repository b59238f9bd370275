// What pages do beyond htmx; without it they work all the same.
const tabs = document.querySelector(".tabs");
const here = tabs?.querySelector("[aria-current]");
// Not scrollIntoView(): Tab would go on from there, and skip the link to the content.
if (here) tabs.scrollLeft = here.offsetLeft - (tabs.clientWidth - here.offsetWidth) / 2;

function tell(text) {
  const notice = document.createElement("p");
  notice.className = "notice error";
  notice.textContent = text;
  document.getElementById("messages").replaceChildren(notice);
}
document.addEventListener("htmx:responseError", () => tell("That did not work. Reload the page, and try again."));
document.addEventListener("htmx:sendError", () => tell("The site cannot be reached. Try again in a moment."));
document.addEventListener("htmx:afterSwap", ({ target, detail }) => {
  // Where the button that was pressed is gone, whoever works by keyboard goes on where it was.
  if (document.activeElement !== document.body || !detail.requestConfig?.triggeringEvent) return;
  const place = document.getElementById(target.id) ?? target;
  place.tabIndex = -1;
  place.focus({ preventScroll: true });
});
