// Before the first paint, so that a page in the other theme never flashes.
document.documentElement.dataset.theme = localStorage.getItem("kuberaft.theme") || "auto";
