"""What several families share: components, histograms, sums over windows, exact reductions."""
