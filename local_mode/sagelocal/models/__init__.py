"""Trained models as they lie in model.tar.gz: what made them, what is in them, other formats.

    source       an archive, folder or file as a folder to read
    inspecting   which family made it; the readers below, one for each
    model        what a reader finds: arrays, facts, a network
    networks     graphs of operators, and the shapes that pass through them
    reports      the same for people (a table, a picture) and programs (JSON)
    exporting    a model in another library's format

Nothing here runs what a model brings: pickles are read as lists of instructions that are looked at
and never carried out.
"""
