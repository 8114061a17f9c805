"""Report: what people look at: pictures, a page and a card."""
