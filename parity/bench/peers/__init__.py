"""The runners: a module for each library, with `builder(...)`."""
