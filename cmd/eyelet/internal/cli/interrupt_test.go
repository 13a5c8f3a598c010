package cli

import (
	"context"
	"os"
	"syscall"
	"testing"
)

// signalled starts the handling of signals as the program does, and returns its parts.
func signalled(t *testing.T) (ctx context.Context, in *interrupts, exits *[]int) {
	exits = new([]int)
	ctx, stop := WithInterrupts(t.Context(), func(code int) { *exits = append(*exits, code) })
	t.Cleanup(stop)
	return ctx, ctx.Value(interruptsKey{}).(*interrupts), exits
}

func TestTheFirstInterruptCancelsAndTheSecondExits(t *testing.T) {
	ctx, in, exits := signalled(t)
	in.handle(os.Interrupt)
	if ctx.Err() == nil {
		t.Error("the first interrupt did not cancel")
	}
	if len(*exits) != 0 {
		t.Errorf("the first interrupt exited: %v", *exits)
	}
	in.handle(os.Interrupt)
	if len(*exits) != 1 || (*exits)[0] != 130 {
		t.Errorf("the second interrupt exited with %v, want 130", *exits)
	}
}

func TestAnInterruptStopsTheAnswerAndNotTheProgram(t *testing.T) {
	ctx, in, exits := signalled(t)
	answer, release := Interruptible(ctx)
	in.handle(os.Interrupt)
	if answer.Err() == nil || ctx.Err() != nil {
		t.Errorf("answer: %v, program: %v; want the answer cancelled alone", answer.Err(),
			ctx.Err())
	}
	in.handle(os.Interrupt)
	if ctx.Err() == nil || len(*exits) != 0 {
		t.Errorf("a second interrupt during the answer: program %v, exits %v", ctx.Err(), *exits)
	}
	release()
}

func TestAfterTheAnswerAnInterruptMeansTheProgram(t *testing.T) {
	ctx, in, _ := signalled(t)
	answer, release := Interruptible(ctx)
	release()
	release()
	if answer.Err() == nil {
		t.Error("release did not end the answer's context")
	}
	in.handle(os.Interrupt)
	if ctx.Err() == nil {
		t.Error("the program was not cancelled")
	}
}

func TestTerminationStopsTheProgramEvenDuringAnAnswer(t *testing.T) {
	ctx, in, _ := signalled(t)
	answer, release := Interruptible(ctx)
	defer release()
	in.handle(syscall.SIGTERM)
	if ctx.Err() == nil || answer.Err() == nil {
		t.Errorf("program: %v, answer: %v; want both cancelled", ctx.Err(), answer.Err())
	}
}

func TestSignalsOfTheSystemArrive(t *testing.T) {
	ctx, _, _ := signalled(t)
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
}
