// Brings everything up, in the order in which it is seen.

function startHelp() {
  fillReasonsHelp();
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("help-close").addEventListener("click", () => byId("help").close());
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element && event.target.matches("input, select, textarea");
    if (event.key === "?" && !typing && !detail.open) byId("help").showModal();
  });
}

readRecords();
startMarks();
startTheme();
showOverview();
startGallery();
startTimelines();
startFilters();
startDetail();
startHelp();
