WORDS = "imported from the installed package"
