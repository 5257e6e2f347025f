"""OpenAI's image editing as this service has it: their form -> our request; our job -> their answers and errors."""
