// Follows uploads that are being read; without it the page works and shows the state on reload.
for (const row of document.querySelectorAll("[data-progress]")) {
  const bar = row.querySelector("progress");
  const follow = async () => {
    try {
      const answer = await fetch(row.dataset.progress, { headers: { "X-Tenant": row.dataset.tenant } });
      if (!answer.ok) return;
      const upload = await answer.json();
      if (upload.progress.done) return location.reload();
      bar.value = upload.progress.bytes_done;
    } catch { /* offline for a moment: try again */ }
    setTimeout(follow, 1000);
  };
  setTimeout(follow, 500);
}
