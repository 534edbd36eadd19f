// Otherprogram writes a session as a program does that has used encoding/gob before,
// so that its types have other numbers. The argument is how long it may live.
package main

import (
	"encoding/gob"
	"io"
	"log"
	"os"
	"time"

	"github.com/alexedwards/scs/v2"
)

func main() {
	lifetime, err := time.ParseDuration(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if err := gob.NewEncoder(io.Discard).Encode(struct{ Number int }{1}); err != nil {
		log.Fatal(err)
	}
	data, err := scs.GobCodec{}.Encode(time.Now().Add(lifetime).UTC(), map[string]any{"user": "ann"})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := os.Stdout.Write(data); err != nil {
		log.Fatal(err)
	}
}
