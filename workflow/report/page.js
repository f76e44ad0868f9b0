/* Everything on the page that moves. */

const data = JSON.parse(document.getElementById("data").textContent);
mountTables(document);
mountScrolls(document);
mountFolds(document);
mountProvenance(document.getElementById("main"), document.getElementById("details"), data);
const viewer = document.getElementById("viewer");
if (viewer) mountViewer(viewer, data);
