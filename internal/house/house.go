// Package house holds the tests that keep the tree in shape: who may import whom, that every package says what it is
// for, that response writers are wrapped in one place only, and that no dependency arrives unnoticed. It has no code of
// its own.
package house
