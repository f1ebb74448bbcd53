document.body.dataset.script = "one";
