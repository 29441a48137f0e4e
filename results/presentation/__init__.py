"""Tables as they are shown: headers, texts and a caption, rounded once for every page that readers see."""
