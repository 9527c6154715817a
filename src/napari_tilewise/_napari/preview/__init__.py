"""The live preview: the visible region of a result, computed while parameters move.

One mechanism serves all panels and operations. A panel offers a *job* (a recipe on a layer, as
Apply would run it); the viewer gives a *view*: the visible box, and how many pixels it may cost, a
screenful. Both together are a *request*. Nothing here knows an operation by name.

**What is computed.** The recipe is bound to the layer's array as a run binds it, and the box is
read from the bound pipeline, which pulls what it needs with halos: these are Apply's pixels. If the
box has more pixels than a screenful, a coarser level takes the place of the array (of the layer's
pyramid, or every n-th pixel), and lengths, areas and positions among the parameters are divided by
the level's factor, as their specs declare (`Spec.scaled`). That is an *overview*, and is marked.

**Global numbers.** A step with passes over the whole image is computed exactly if the plane is
small. If it is large, the box and its surroundings take the place of the image: an *estimate*, and
marked. If only statistics are missing (ranges, histograms), a second thread gathers them meanwhile,
once: pipelines whose passes are done stay here, and what a reduction shares with others (its
`share`) is reused whatever the parameters, for overviews too.

**Order of work.** The window's thread makes a request, hands it to one worker thread
(`jobs.latest_worker`) and returns. The worker takes the newest request only (moves that come
meanwhile replace each other), but shows each result that it finishes: dropping all stale ones would
show nothing during a drag. A slow computation that is stale is cancelled, but never two in a row,
for the same reason. Parameters start a request at once, the camera when it pauses. A result waits
until the one before it is painted, so that repaints cannot flood the window's loop. The last good
result stays.

**What is shown.** A layer of its own above the source, and above what would hide it: an image,
outlines of masks and labels, points, or lines. Its pixels are written into its own buffer as long
as their shape stays, because setting a layer's data, limits or colours costs up to a third of a
second. The worker brings them into a type that napari uploads as it is. The layer is no target of
any panel, is left out of the selection, and goes when the preview is switched off.

    view        the visible box, and the screenful
    source_level  which array stands for the source at that size
    scaling     a recipe in larger pixels
    gathered    global numbers, and pipelines whose passes are done
    previewer     from a request to pixels, points or lines: runs in the worker
    outlines    objects as what is shown of them
    shown       the preview's layer
    covered_source  the source, which is not drawn where an opaque preview hides it
    before_after  before and after: a key, and a split line
    full_collections  no stalls of Python's garbage collector while a parameter moves
    preview     the above for one panel, with its row of controls
    preview_source  what a panel offers
    result_in_view  the same for a result that a run is storing: seen before the run ends
"""
