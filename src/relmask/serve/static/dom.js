// The page's elements.

export const $ = (id) => document.getElementById(id);
