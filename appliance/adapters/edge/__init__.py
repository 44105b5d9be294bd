"""The bigger machine nearby that is offered the hard cases: client, cache, budget."""
