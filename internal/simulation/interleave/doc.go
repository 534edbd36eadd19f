// Package interleave runs requests for one session in every order that their calls of
// the store can have. Its test holds what LoadAndSave and Handler promise of each.
//
// The real code runs, against a store in memory that lets one call happen at a time.
// Each call is one step there; storetest holds the stores of servers to that.
package interleave
