// Before anything is drawn: the theme that was chosen on this machine. Not a module, since those wait for the page.
(function () {
  try {
    var theme = localStorage.getItem("belvedere.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch (e) {
    // without storage the system's theme holds
  }
})();
