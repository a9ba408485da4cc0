// A shared library needs a source of its own; the rest comes from the libraries of src/.
