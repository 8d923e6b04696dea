"""The kinds of models, a folder each; `vaeline.kinds` finds them."""
