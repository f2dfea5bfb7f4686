"""How change is noticed: trees compared with what an agent remembers of them."""
