// Draws the Mermaid charts; those in a closed fold when it opens, because a hidden chart has no size to measure.
"use strict";
(() => {
  if (!window.mermaid) return;
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  window.mermaid.initialize({ startOnLoad: false, securityLevel: "strict", theme: dark ? "dark" : "default", fontFamily: "system-ui, sans-serif" });
  const draw = (root) => {
    const nodes = [...root.querySelectorAll("pre.mermaid:not([data-processed])")];
    const visible = nodes.filter((node) => node.offsetParent !== null);
    if (visible.length) window.mermaid.run({ nodes: visible, suppressErrors: true });
  };
  draw(document);
  document.addEventListener("toggle", (event) => event.target.open && draw(event.target), true);
})();
