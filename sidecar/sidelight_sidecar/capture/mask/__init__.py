"""Masking: what a text tells of a person or opens a door is replaced before the text moves on.

    text -> UTF-8, folded (full-width digits, unusual spaces and dashes, invisible characters)
         -> detectors: one linear RE2 pass each finds candidates, a proof judges each candidate
         -> overlapping findings become one -> each is replaced by its label, such as [CARD]
         -> the same again, until nothing is found

Rules that keep it true:
 1. Time is linear: RE2 alone walks text from outside, patterns are bounded or runs that end where
    they stop, and a judge looks at no more than its candidate and a fixed number of bytes beside.
 2. A candidate is proved (checksum, structure, words nearby) before it is masked.
 3. Folding is for finding alone: a text without findings comes back as the same object.
 4. Masking masked text changes nothing.

`docs/redaction.md` has precision and recall of each detector, and what none of them finds.
"""
