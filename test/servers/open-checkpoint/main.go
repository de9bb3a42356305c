// Opens the signed note on standard input with the verifier key that is its one argument, as any Go program
// does, and prints the text of the note and who signed it.
package main

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/mod/sumdb/note"
)

const noteBytesMax = 1 << 20

func main() {
	if err := open(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func open() error {
	if len(os.Args) != 2 {
		return fmt.Errorf("usage: open-checkpoint VKEY < checkpoint")
	}
	verifier, err := note.NewVerifier(os.Args[1])
	if err != nil {
		return err
	}
	signed, err := io.ReadAll(io.LimitReader(os.Stdin, noteBytesMax))
	if err != nil {
		return err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return err
	}
	fmt.Print(opened.Text)
	for _, signature := range opened.Sigs {
		fmt.Println("signed by", signature.Name)
	}
	return nil
}
