// Package oracle holds the scanner of internal/inject/prolog against an HTML parser: golang.org/x/net/html, on the inputs of
// the html5lib tree-construction tests that ship with it. It has tests only, in a module of its own because of the parser.
package oracle
