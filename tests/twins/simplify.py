"""Edge collapse on sets of triangles, the cheapest edge first; everything is found by searching."""

from __future__ import annotations

import numpy as np

SMOOTH, TURN, TINY = 3e-4, 0.2, 0.01
KEPT = 0.1  # part of the volume

Edge = tuple[int, int]


def normal(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return np.cross(b - a, c - a)


def face_quadric(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """4 x 4 matrix of the squared distance to the plane of a triangle, times twice its area."""
    n = normal(a, b, c)
    length = np.linalg.norm(n)
    plane = np.append(n, -n @ a) / length
    return length * np.outer(plane, plane)


class Mesh:
    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        self.center, self.scale = (low + high) / 2, (high - low).max() / 2
        self.point = dict(enumerate((vertices - self.center) / self.scale))
        self.faces = {tuple(face) for face in faces.tolist()}
        self.quadric = {v: np.zeros((4, 4)) for v in self.point}
        for face in self.faces:
            for v in face:
                self.quadric[v] = self.quadric[v] + face_quadric(*(self.point[w] for w in face))
        self.part: dict[int, int] = {}
        for v in self.point:
            reached = [v] if v not in self.part else []
            while reached:
                w = reached.pop()
                self.part[w] = v
                reached += [n for n in self.neighbours(w) if n not in self.part]
        self.first_volumes = self.volumes(self.faces, self.point)

    def volumes(self, faces: set[tuple[int, int, int]], point: dict[int, np.ndarray]) -> np.ndarray:
        """Of every connected part, and of all together."""
        volume = dict.fromkeys(sorted(set(self.part.values())), 0.0)
        for a, b, c in faces:
            volume[self.part[a]] += point[a] @ np.cross(point[b], point[c]) / 6
        return np.array([*volume.values(), sum(volume.values())])

    def around(self, *ends: int) -> list[tuple[int, int, int]]:
        return [face for face in self.faces if set(face) & set(ends)]

    def neighbours(self, v: int) -> set[int]:
        return {w for face in self.around(v) for w in face} - {v}

    def best(self, edge: Edge) -> tuple[np.ndarray, float]:
        """Where to, and at what cost."""
        u, v = edge
        q = self.quadric[u] + self.quadric[v]
        middle = (self.point[u] + self.point[v]) / 2
        damping = SMOOTH * np.trace(q[:3, :3])
        damped = q[:3, :3] + damping * np.eye(3)
        place = np.linalg.solve(damped, damping * middle - q[:3, 3])
        apart = ((place - self.point[u]) ** 2 + (place - self.point[v]) ** 2).sum() / 2
        homogeneous = np.append(place, 1)
        return place, max(homogeneous @ q @ homogeneous, 0) + damping * apart

    def allowed(self, edge: Edge, place: np.ndarray) -> bool:
        u, v = edge
        shared = [face for face in self.around(u) if v in face]
        opposite = {w for face in shared for w in face} - {u, v}
        if self.neighbours(u) & self.neighbours(v) != opposite:
            return False
        if any(len(self.neighbours(w)) == 3 for w in opposite):
            return False
        total = sum(
            normal(*(self.point[w] for w in face)) for end in edge for face in self.around(end)
        )
        for face in set(self.around(u, v)) - set(shared):
            before = normal(*(self.point[w] for w in face))
            after = normal(*(place if w in edge else self.point[w] for w in face))
            tiny = np.linalg.norm(before) < TINY * np.linalg.norm(total)
            up = total if tiny else before
            if up @ after <= TURN * np.linalg.norm(up) * np.linalg.norm(after):
                return False
        return self.keeps_volume(edge, place)

    def keeps_volume(self, edge: Edge, place: np.ndarray) -> bool:
        u, v = edge
        moved = self.volumes(self.faces, {**self.point, u: place, v: place})
        enclosing = np.abs(self.first_volumes) > 1e-12
        return bool((moved / self.first_volumes >= KEPT)[enclosing].all())

    def collapse(self, edge: Edge, place: np.ndarray) -> None:
        u, v = edge
        for face in self.around(v):
            self.faces.remove(face)
            if u not in face:
                self.faces.add(tuple(u if w == v else w for w in face))
        self.point[u] = place
        self.quadric[u] = self.quadric[u] + self.quadric[v]


def simplify(vertices: np.ndarray, faces: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """As `_C.simplify`, for meshes in which no two edges cost the same."""
    mesh = Mesh(vertices, faces)
    progress = True
    while progress and len(mesh.faces) > target:
        progress = False
        pairs = {tuple(sorted((f[i - 1], f[i]))) for f in mesh.faces for i in range(3)}
        waiting = {edge: mesh.best(edge) for edge in pairs}
        while waiting and len(mesh.faces) > target:
            edge = min(waiting, key=lambda e: waiting[e][1])
            place, _ = waiting.pop(edge)
            if not mesh.allowed(edge, place):
                continue
            mesh.collapse(edge, place)
            progress = True
            u, v = edge
            waiting = {e: found for e, found in waiting.items() if u not in e and v not in e}
            for w in mesh.neighbours(u):
                waiting[min(u, w), max(u, w)] = mesh.best((min(u, w), max(u, w)))
    used = sorted({v for face in mesh.faces for v in face})
    index = {v: i for i, v in enumerate(used)}
    points = np.array([mesh.point[v] for v in used]) * mesh.scale + mesh.center
    return points, np.array([[index[v] for v in face] for face in mesh.faces])
