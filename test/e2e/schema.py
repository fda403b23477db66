"""A small validator for the JSON schemas that rpc.discover gives: type, properties, required, items,
minimum, maximum, format date-time, and nothing else. Members that the schema does not know are faults."""

import re

DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
TYPES = {"string": str, "boolean": bool, "array": list, "object": dict, "null": type(None)}


def has_type(value, name):
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def faults(value, schema, place="$"):
    """Everything about the value that is not as the schema says."""
    wanted = schema.get("type")
    if wanted is not None:
        names = wanted if isinstance(wanted, list) else [wanted]
        if not any(has_type(value, name) for name in names):
            return [f"{place}: {value!r} is not {wanted}"]
    found = []
    if isinstance(value, dict) and "properties" in schema:
        found += [f"{place}.{name} is missing" for name in schema["required"] if name not in value]
        for name, member in value.items():
            if name not in schema["properties"]:
                found.append(f"{place}.{name} is not described")
            else:
                found += faults(member, schema["properties"][name], f"{place}.{name}")
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            found += faults(item, schema["items"], f"{place}[{number}]")
    if has_type(value, "number"):
        if value < schema.get("minimum", value) or value > schema.get("maximum", value):
            found.append(f"{place}: {value} is out of range")
    if isinstance(value, str) and schema.get("format") == "date-time" and not DATE_TIME.fullmatch(value):
        found.append(f"{place}: {value} is no time")
    return found
