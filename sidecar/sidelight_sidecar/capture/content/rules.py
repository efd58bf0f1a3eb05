"""Structural rules: what is left out of bodies, whatever it says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rules:
    """What an owner leaves out; the rules hold masked and unmasked.

    Attributes:
        system_prompts: leave out system and developer messages, `system`, `instructions`. A
            prompt that a client has rendered itself, with its template's words, is one text.
        tool_results: leave out what tools answered.
        tool_definitions: leave out the tools that a request offers.
        media: leave out images, audio, video and files, also where they are only pointed to.
            Inlined ones are never passed on masked, with or without this rule.
        max_characters: characters (code points) that are kept of each text, 0 for all. Counted
            after masking. 0 is the default: bodies are bounded as a whole anyway.
    """

    system_prompts: bool = False
    tool_results: bool = False
    tool_definitions: bool = False
    media: bool = False
    max_characters: int = 0


KEEP_ALL = Rules()
