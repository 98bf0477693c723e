"use strict";
const report = JSON.parse(document.getElementById("report-json").textContent);

function say(button, words) {
  const before = button.innerHTML;
  button.textContent = words;
  setTimeout(() => { button.innerHTML = before; }, 1500);
}

for (const button of document.querySelectorAll("button.copy")) {
  const code = button.parentElement.querySelector("code");
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      say(button, "Copied");
    } catch {
      getSelection().selectAllChildren(code);
      say(button, "Selected");
    }
  });
}

for (const button of document.querySelectorAll("button.save")) {
  const path = button.dataset.path;
  button.hidden = false;
  button.addEventListener("click", () => {
    const part = path ? path.split(".").reduce((value, name) => value[name], report) : report;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([JSON.stringify(part, null, 1) + "\n"], { type: "application/json" }));
    link.download = (path || "report") + ".json";
    link.click();
    URL.revokeObjectURL(link.href);
  });
}
