"""The kinds of interaction, by name, in the order of Inter-X's action numbers."""

from intermamba.data.synthetic.kinds import care, contest, greeting, play, walking
from intermamba.data.synthetic.kinds.kind import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind for module in (walking, greeting, contest, play, care) for kind in module.KINDS
}
