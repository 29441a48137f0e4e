"""The report's figures as inline SVG; colours come from the page's style, so that both themes share one drawing."""
