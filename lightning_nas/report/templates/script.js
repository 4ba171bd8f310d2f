// Adds a button "Copy" after each command. Without scripts the page lacks nothing else.
for (const code of navigator.clipboard ? document.querySelectorAll("code.command") : []) {
  const button = document.createElement("button");
  button.textContent = "Copy";
  button.addEventListener("click", () => navigator.clipboard.writeText(code.textContent).then(
    () => { button.textContent = "Copied"; },
    () => getSelection().selectAllChildren(code),
  ));
  (code.closest("pre") ?? code).after(button);
}
