// Runs before the first paint, as a file of its own because the Content-Security-Policy allows no inline script.
try {
  const theme = localStorage.getItem('cluster-gateway.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage is switched off: the system's colour scheme stands.
}
