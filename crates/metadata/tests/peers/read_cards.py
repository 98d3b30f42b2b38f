"""Reads cards as the Hub's own library does. In: a JSON list of texts. Out: a JSON list of what is in their front matter,
or null where the library refuses it."""

import json
import logging
import sys

from huggingface_hub import RepoCard

logging.disable(logging.WARNING)


def read(text):
    try:
        card = RepoCard(text)
        return {"data": json.loads(json.dumps(card.data.to_dict(), default=repr), parse_constant=str), "text": card.text}
    except Exception:
        return None


json.dump([read(text) for text in json.load(sys.stdin)], sys.stdout)
