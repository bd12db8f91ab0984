"""The helper of old: files beside the script."""

import json
import os


def _read(name, default):
    if not os.path.exists(name):
        return default
    with open(name) as file:
        return json.load(file)


def _write(name, value):
    with open(name, "w") as file:
        json.dump(value, file)


def input():
    return _read("input.json", None)


def output(data):
    _write("output.json", data)


def get_variable(key):
    return _read("variables.json", {}).get(key)


def set_variable(key, value):
    _write("variables.json", {**_read("variables.json", {}), key: value})


def event():
    return _read("event.json", {})


def getCondition():
    return bool(_read("condition.json", False))


def setCondition(value):
    _write("condition.json", value)


getVariable, setVariable = get_variable, set_variable
