"""What a query costs at Linear: a tenth of a point per property, a point per object, and a connection
multiplies what is under it by its page size, 50 unless it says otherwise; rounded up
(https://linear.app/developers/rate-limiting)."""

import math
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_leaf_type,
)
from graphql.utilities import value_from_ast_untyped

_DEFAULT_PAGE = 50


def complexity(schema: GraphQLSchema, document: DocumentNode, variables: dict[str, Any]) -> float:
    """The points of a document's operation."""
    fragments = {
        one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
    }
    (operation,) = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    root = schema.get_root_type(operation.operation)
    return math.ceil(round(_cost(root, operation.selection_set, variables, fragments), 6))


def _cost(kind: Any, chosen: SelectionSetNode, variables: dict[str, Any], fragments: dict[str, Any]) -> float:
    total = 0.0
    for field in chosen.selections:
        if isinstance(field, InlineFragmentNode):
            total += _cost(kind, field.selection_set, variables, fragments)
        elif not isinstance(field, FieldNode):
            total += _cost(kind, fragments[field.name.value].selection_set, variables, fragments)  # type: ignore[attr-defined]
        elif field.name.value.startswith("__"):
            total += 0.1
        else:
            named = get_named_type(kind.fields[field.name.value].type)
            if is_leaf_type(named) or field.selection_set is None:
                total += 0.1
                continue
            inside = _cost(named, field.selection_set, variables, fragments)
            if named.name.endswith("Connection"):
                total += inside * _page(field, variables)
            else:
                # What a connection's nodes cost is multiplied by their connection.
                total += inside + (0 if named.name == "PageInfo" else 1)
    return total


def _page(field: FieldNode, variables: dict[str, Any]) -> float:
    for argument in field.arguments:
        if argument.name.value == "first":
            value = value_from_ast_untyped(argument.value, variables)
            return float(value) if value is not None else _DEFAULT_PAGE
    return _DEFAULT_PAGE
